"""Out: one contract, two senders of HTTP (libcurl, requests), messages to brokers, one guard of addresses.

The only home of their libraries.
"""
