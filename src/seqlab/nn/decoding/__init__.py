"""Decoding: the recurrent decoder, how it is unrolled, and how its outputs are searched for."""
