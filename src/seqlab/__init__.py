"""SeqLab: experiments with recurrent and attention sequence models."""
