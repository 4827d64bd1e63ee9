"""The ids that every vocabulary of source and target tokens begins with."""

PAD, BEGIN, END, UNKNOWN = range(4)
SPECIAL = ("·", "<s>", "</s>", "<unk>")
