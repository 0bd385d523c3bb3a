# Packages, tables, an account, a webhook to the receiver, and a client of the API. It may run again.
set -e
test -d node_modules || npm ci --ignore-scripts --no-audit --no-fund
dispatcher migrate
node shop.mjs --create-tables
if dispatcher account create applecorp; then
    dispatcher webhook create --account applecorp --url "http://127.0.0.1:${RECEIVER_PORT:-8400}/hook" \
        --event invoice_created --event invoice_paid --event inbox_file_removed_all
    (umask 077 && dispatcher client create --account applecorp --scope events:write --json > .dispatcher-client.json)
fi
