package weights

import "fmt"

// Part returns part i of n equal ones along the first axis of a stored entry, such as the weight of one expert of several, without that
// axis. Scales and other companions with the same first axis are cut with it; others apply to all parts.
func (e Entry) Part(i, n int) (Entry, error) {
	if len(e.Shape) < 2 || e.Shape[0] != n || i < 0 || i >= n {
		return Entry{}, fmt.Errorf("taking part %d of %d of %v of %s: it has another number of parts", i, n, e, e.File)
	}
	rest := e.Shape[1:]
	if e.Scheme == nil {
		part, err := e.Rows(i, 1)
		if err != nil {
			return Entry{}, err
		}
		return part.Reshape(rest...)
	}
	if len(e.Data)%n != 0 {
		return Entry{}, fmt.Errorf("taking part %d of %d of %v of %s: its %d bytes make no equal parts", i, n, e, e.File, len(e.Data))
	}
	scheme := *e.Scheme
	scheme.Companions = map[string]Entry{}
	for role, c := range e.Scheme.Companions {
		if len(c.Shape) > 0 && c.Shape[0] == n {
			part, err := c.Rows(i, 1)
			if err == nil && len(c.Shape) > 1 {
				part, err = part.Reshape(c.Shape[1:]...)
			}
			if err != nil {
				return Entry{}, err
			}
			c = part
		}
		scheme.Companions[role] = c
	}
	width := len(e.Data) / n
	e.Name, e.Shape, e.Scheme = fmt.Sprintf("%s[%d]", e.Name, i), rest, &scheme
	e.Data = e.Data[i*width : (i+1)*width : (i+1)*width]
	if e.Offset >= 0 {
		e.Offset += int64(i * width)
	}
	return e, nil
}
