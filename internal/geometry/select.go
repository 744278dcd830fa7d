package geometry

// Select orders order[from:to] so that no entry before middle has a larger value than one behind it (Hoare's selection).
func Select(order []int32, from, to, middle int32, value func(entry int32) float32) {
	at := func(i int32) float32 { return value(order[i]) }
	lo, hi := from, to-1
	for lo < hi {
		pivot := at((lo + hi) / 2)
		i, j := lo, hi
		for i <= j {
			for at(i) < pivot {
				i++
			}
			for at(j) > pivot {
				j--
			}
			if i <= j {
				order[i], order[j] = order[j], order[i]
				i++
				j--
			}
		}
		switch {
		case middle <= j:
			hi = j
		case middle >= i:
			lo = i
		default:
			return
		}
	}
}
