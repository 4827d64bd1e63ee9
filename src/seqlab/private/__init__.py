"""Private interfaces of other libraries, each with its reason and the version it was tried in.

A test beside each says what is expected of it, and fails when a new version has it no more.
"""
