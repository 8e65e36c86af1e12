"""The order of the parameter vector that every kernel reads; named here and nowhere else."""

PARAMETERS = (
    "Ab",
    "kb",
    "eField",
    "lifetime",
    "long_diff",
    "tran_diff",
    "vdrift",
    "alpha",
    "beta",
    "MeVToElectrons",
    "lArDensity",
    "temperature",
    "alpha_emb",
    "beta_90",
    "R_anisotropy",
    "induction_scale",
    "t0_offset",
)

AB = 0
KB = 1
EFIELD = 2
LIFETIME = 3
LONG_DIFF = 4
TRAN_DIFF = 5
VDRIFT = 6  # 0: the drift velocity follows from the field and the temperature
ALPHA = 7
BETA = 8
MEV_TO_ELECTRONS = 9
LAR_DENSITY = 10
TEMPERATURE = 11
ALPHA_EMB = 12
BETA_90 = 13
R_ANISOTROPY = 14
INDUCTION_SCALE = 15
T0_OFFSET = 16

# Of these, those of the response, which act with some readouts alone.
RESPONSE = ("induction_scale",)

# Of the electronics: what is fitted of each pixel's front end, see `adjust` and `buffer`.
ELECTRONICS = ("buffer_risetime", "threshold_offset", "gain_factor", "pedestal_offset")

# Of the amplifiers of wires, which no kernel reads: they act through the waveforms of the response.
AMPLIFIER = ("gain", "shaping")

BUFFER_RISETIME = 0
THRESHOLD_OFFSET = 1
GAIN_FACTOR = 2
PEDESTAL_OFFSET = 3
