"""HTTP out: one contract, two senders (libcurl, requests), one guard of addresses. The only home of both libraries."""
