//go:build !amd64

package imaging

func mixLines([]float32, [][]float32, []float32) int { return 0 }

func (t taps) places() []int32 { return nil }

func acrossRGB(_, _ []float32, _ int, _ []int32, _ taps) bool { return false }

type rgbWindows struct{}

func forRGB([]window) (r rgbWindows, ok bool) { return r, false }

func (rgbWindows) add(_, _ []float32) {}

func (rgbWindows) means(_, _ []float32, _ float32) {}

func nearestRGB(_, _ []float32, _ []int32) int { return 0 }

func bytePlaces([]int) []int32 { return nil }

func addTimesTo(_, _ []float32, _ float32) int { return 0 }

func addPairsTo(_, _, _ []float32, _ float32) int { return 0 }
