package device

import "fmt"

// Want is the device that the user selected.
type Want struct {
	CPU  bool // --cpu: nothing but the CPU
	Card int  // --cuda-device or --default-device: this GPU; -1 for the first that works
}

// Choice is the device that models run on.
type Choice struct {
	Card int // index of the GPU; -1 for the CPU
	// Why explains in one line the choice and, for the CPU, why no GPU was chosen.
	Why string
}

// Choose picks the device. usable tries a GPU for real: a driver can list one that the runtime cannot use. If the user
// selected a GPU that is not usable, that is an error; otherwise the CPU takes over.
func Choose(w Want, cards []Card, cardsErr error, usable func(index int) error) (Choice, error) {
	if w.CPU {
		return Choice{Card: -1, Why: "the CPU, as asked for"}, nil
	}
	if cardsErr != nil || len(cards) == 0 {
		if cardsErr == nil {
			cardsErr = ErrNoCards
		}
		if w.Card >= 0 {
			return Choice{}, fmt.Errorf("using GPU %d: %w", w.Card, cardsErr)
		}
		return Choice{Card: -1, Why: fmt.Sprintf("the CPU: %v", cardsErr)}, nil
	}
	var last error
	for _, c := range cards {
		if w.Card >= 0 && c.Index != w.Card {
			continue
		}
		if last = usable(c.Index); last == nil {
			return Choice{Card: c.Index, Why: fmt.Sprintf("cuda:%d %s, driver %s", c.Index, c.Name, c.Driver)}, nil
		}
	}
	if w.Card >= 0 {
		if last == nil {
			last = fmt.Errorf("there are %d GPUs, counted from 0", len(cards))
		}
		return Choice{}, fmt.Errorf("using GPU %d: %w", w.Card, last)
	}
	return Choice{Card: -1, Why: fmt.Sprintf("the CPU: %v", last)}, nil
}
