"""The shapes of API v3, one module a resource: every attribute that its page lists, in the order of the page.

Where a page does not say whether an attribute may be null, null is accepted (inferred).
"""
