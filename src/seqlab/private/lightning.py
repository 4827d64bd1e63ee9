"""What we use of Lightning that is not its to show. Tried with lightning 2.6.6."""

from __future__ import annotations

CURRENT_HOOK = "_current_fx_name"
"""The attribute of a LightningModule in which the trainer notes the hook that runs.

It is set some fifty times a step; a module's own way of setting an attribute, which looks for
weights, would take a tenth of a millisecond of each step for it.
"""
