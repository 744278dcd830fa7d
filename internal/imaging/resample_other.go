//go:build !amd64

package imaging

func toBytes([]byte, []float32) int { return 0 }

func fromBytes([]float32, []byte) int { return 0 }

func weighColumns(_, _ []byte, _ int, _ []int32) int { return 0 }

func resampleRGBRows([]byte, int, int, kernel) []byte { return nil }
