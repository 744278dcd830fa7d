package geometry

import "context"

// Select orders order[from:to] so that no entry before middle has a larger value than one behind it (Hoare's selection). Its error is the cause
// of the context's end, after which the order is any.
func Select(ctx context.Context, order []int32, from, to, middle int32, value func(entry int32) float32) error {
	at := func(i int32) float32 { return value(order[i]) }
	lo, hi := from, to-1
	looked := 0
	for lo < hi {
		pivot := at((lo + hi) / 2)
		i, j := lo, hi
		for i <= j {
			if looked++; looked%chunk == 0 {
				if err := context.Cause(ctx); err != nil {
					return err
				}
			}
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
			return nil
		}
	}
	return nil
}
