"""The chat template of tokenizers that have none: tasks are asked with it, lm-eval's benchmarks are not."""

PLAIN_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + eos_token }}{% endgeneration %}"
    "{% else %}{{ message['content'] + '\n' }}{% endif %}{% endfor %}"
)
"""Each message on a line of its own, the answer closed by the end token."""
