package imaging

// Frames is how many frames Open would find in a file, without decoding them: 1 for what has one, and for what is no
// picture.
func Frames(data []byte) int {
	for _, f := range formats {
		if f.frames != nil && f.is(data) {
			if n, err := f.frames(data); err == nil {
				return max(1, n)
			}
		}
	}
	return 1
}
