"""Analysis of an allocation: certificate, sensitivities, repairs and what-if."""
