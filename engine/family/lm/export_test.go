package lm

// Positions are the positions of n tokens among images given as start, size, rows and columns of patches.
func Positions(n int, mask []int64, images ...[4]int) [][]int {
	spans := make([]span, len(images))
	for i, s := range images {
		spans[i] = span{s[0], s[1], grid{s[2], s[3]}}
	}
	return amongImages(n, spans, mask, true)
}
