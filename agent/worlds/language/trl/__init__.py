"""Everything around TRL's trainers."""
