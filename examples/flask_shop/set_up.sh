# Tables, an account, and a webhook to the receiver. It may run again.
set -e
dispatcher migrate
python shop.py
if dispatcher account create applecorp; then
    dispatcher webhook create --account applecorp --url "http://127.0.0.1:${RECEIVER_PORT:-8400}/hook" \
        --event invoice_created --event invoice_paid
fi
