from PIL import Image

from seqlab.callbacks.canvas import MARK
from tests.conftest import SHORT


def test_a_run_leaves_alignments_outputs_and_a_plot(train, tmp_path):
    train("data=reverse", "model/attention=general", "data.train_size=128", *SHORT)
    figures = tmp_path / "run" / "figures"
    for moment in ("val", "test"):
        plot = Image.open(figures / f"{moment}_exact_match_by_length.png")
        assert len(plot.getcolors(1 << 20)) > 10
        picture = Image.open(figures / f"{moment}_alignment_1.png").convert("RGB")
        assert MARK in {colour for _, colour in picture.getcolors(1 << 20)}  # the true alignment
    text = (figures / "test_outputs.md").read_text(encoding="utf-8")
    assert text.count("reference") == 6
    assert text.count("| hypothesis |") == 6


def test_without_attention_there_is_no_alignment(train, tmp_path):
    train("data=copy", "model/attention=none", "model=gru", "data.train_size=128", *SHORT)
    figures = tmp_path / "run" / "figures"
    assert (figures / "test_outputs.md").is_file()
    assert not list(figures.glob("*alignment*"))
