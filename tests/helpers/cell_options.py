"""Settings of the cell, one option at a time and several together."""

OPTIONS = {
    "defaults": {},
    "cqi": {"rate_model": "cqi"},
    "mcs": {"rate_model": "mcs", "snr_gap_db": 2.0},
    "cap": {"max_bps_hz": 3.0},
    "noise figure": {"noise_figure_db": 7.0},
    "noise density": {"noise_psd_w_per_hz": 1e-19, "rate_model": "cqi"},
    "outage": {"packet_error": "outage", "packet_bits": 5e3, "max_transmissions": 3},
    "waterfall": {"packet_error": "waterfall", "packet_bits": 5e3, "waterfall_threshold": 10.0},
    "open loop": {"power_control": "open-loop", "noise_figure_db": 7.0},
    "open loop at 60 kHz": {
        "power_control": "open-loop",
        "power_class": "pc3",
        "subcarrier_spacing_hz": 60e3,
    },
    "work-conserving": {"bands": "work-conserving"},
    "coherence blocks": {"coherence_s": 2e-3},
    "dropouts": {"dropout_probability": 0.6},
    "downlink": {"downlink_rate_bps": 3e6},
    "broadcast": {"downlink_rate_bps": 3e6, "downlink_broadcast": True},
    "frequency scaling": {"cpu": "dvfs", "min_cpu_hz": 1e8},
    "background load": {"cpu": "loaded"},
    "deterministic load": {"cpu": "loaded", "background": "deterministic"},
    "everything": {
        "snr_gap_db": 2.0,
        "packet_error": "waterfall",
        "waterfall_threshold": 10.0,
        "packet_bits": 5e3,
        "power_control": "open-loop",
        "noise_figure_db": 7.0,
        "bands": "work-conserving",
        "coherence_s": 2e-3,
        "dropout_probability": 0.3,
        "downlink_rate_bps": 3e6,
        "downlink_broadcast": True,
        "cpu": "loaded",
    },
}
EVENTS_ONLY = {"packet_error", "bands", "coherence_s", "dropout_probability", "cpu"}
BY_FORMULA = {name: changes for name, changes in OPTIONS.items() if not EVENTS_ONLY & set(changes)}
POLICIES = ("wait", "drop", "late-next-round")
