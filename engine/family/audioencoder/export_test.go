package audioencoder

// LogMel is Whisper's spectrogram.
var LogMel = logMel
