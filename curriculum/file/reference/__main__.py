"""`python -m perdure.curriculum.file.reference`: prints the reference."""

from perdure.curriculum.file.reference.page import reference_markdown

if __name__ == "__main__":
    print(reference_markdown(), end="")
