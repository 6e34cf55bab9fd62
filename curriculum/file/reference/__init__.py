"""The curriculum reference, from the schema: `python -m perdure.curriculum.file.reference > docs/curriculum.md`."""
