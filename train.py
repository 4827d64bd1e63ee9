"""What `seqlab train` does, from a checkout; the main job is in src/seqlab/runs/main.py.

python train.py data=parity model=lstm model.encoder.hidden_size=128 trainer.max_epochs=20
"""

from seqlab.runs.main import command

if __name__ == "__main__":
    command()
