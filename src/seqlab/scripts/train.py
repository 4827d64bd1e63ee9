"""What `seqlab train` runs; `python train.py` does the same in the repository."""

from seqlab.runs.main import command

if __name__ == "__main__":
    command()
