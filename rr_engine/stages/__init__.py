"""The stages of the loop on a vault: what each reads there, calls, and writes back. Knows no scheduler.

games -> dataset -> candidate -> rating -> crown, each for one config; and the plan over all of them.
"""
