"""Tracking: the journal and the steps of a run, sent to trackers while it goes on."""
