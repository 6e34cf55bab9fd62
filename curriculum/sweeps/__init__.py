"""Sweep files: one curriculum many times, with some of its fields varied. The shipped ones lie here."""
