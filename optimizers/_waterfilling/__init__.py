"""The exact solver: water-filling for fixed SNR and for a noise density."""
