# Tables (the dispatcher's too), an account, a webhook to the receiver, and a user of the admin. It may run again.
set -e
python manage.py migrate --verbosity 0
if python manage.py dispatcher account create applecorp; then
    python manage.py dispatcher webhook create --account applecorp --url "http://127.0.0.1:${RECEIVER_PORT:-8400}/hook" \
        --event invoice_created --event invoice_updated --event invoice_paid
    DJANGO_SUPERUSER_PASSWORD=shop python manage.py createsuperuser --noinput --username shop --email shop@dispatcher.example
fi
