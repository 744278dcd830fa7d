package assets

// HashFile is tested by itself.
var HashFile = hashFile
