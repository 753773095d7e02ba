"""A telephone company, a speech service and a language model in a box, on loopback.

The product reaches it through the providers' real SDKs; nothing here imports the product, and the
product imports nothing of it. Everything in this package is a simulation and says so.
"""
