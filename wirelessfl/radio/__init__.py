"""Radio physics and tables of the standards: SNR, rate, numerology, CSI."""
