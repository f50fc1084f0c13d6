"""A mediator inside a trusted execution environment (Intel SGX under Gramine), and checking that it is there.

No SGX hardware was available to the authors: quotes are tested with keys made in the tests, and the mediator
has never run inside an enclave.
"""
