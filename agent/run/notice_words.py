"""Notices in words."""

from perdure.agent.run.events import Notice, Noticed
from perdure.curriculum.worlds.nouns import Nouns

NOTICES: dict[Notice, str] = {
    "repeated": "{count} items of the source were left out, since their question stands there before",
    "examined": "{count} items of the source were not trained on, since a stage or a benchmark examines them",
    "unusable": "{count} items of the source were left out, since they lack what the task asks for",
    "fewer": "{count} items were trained on; {of} were asked for, and there are no more",
    "fewer_heldout": "{count} items were held out; {of} were asked for, and there are no more",
    "failed": "{count} of {of} demonstrations failed and were not imitated",
    "too_long": "nothing was learned from {count} of {of} demonstrations: their prompts alone fill max_length",
    "cut_off": "the ends of {count} of {of} demonstrations were not learned: they are longer than max_length",
    "no_reward": "{count} of {of} sampled {answer}s had no reward (None, or not finite)",
    "equal_rewards": "{count} of {of} groups of {answer}s taught nothing: the rewards in each were equal",
    "no_success": "{count} of {of} groups of {answer}s taught nothing: no {answer} in them was rewarded",
    "unrewarded": "none of {of} sampled {answer}s had a reward above 0",
    "truncated": "{count} of {of} sampled {answer}s were cut off at max_completion_length",
}


def describe_notice(event: Noticed, nouns: Nouns | None = None) -> str:
    """`the ends of 3 of 40 demonstrations were not learned: they are longer than max_length`."""
    return NOTICES[event.notice].format(count=event.count, of=event.of, answer=(nouns or Nouns()).answer)
