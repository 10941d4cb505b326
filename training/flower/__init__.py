"""The simulated cell in front of Flower clients, an extra: `pip install "wirelessfl[flower]"`."""
