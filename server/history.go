package server

import (
	"math/big"
	"net/http"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/queue"
)

// getHistory lists finished jobs: all of them, or max_items of them, the last ones unless offset says from where.
func (s *Server) getHistory(c echo.Context) error {
	limit, limited, err := intQuery(c, "max_items")
	if err != nil {
		return err
	}
	offset, _, err := intQuery(c, "offset")
	if err != nil {
		return err
	}
	if _, given := query(c, "offset"); !given {
		offset = -1
	}
	if !limited {
		return s.rows(c, s.jobs(c).History(offset, -1))
	}
	if offset < 0 {
		offset = s.jobs(c).HistoryLen() - limit
	}
	// Upstream counts after it has added: a limit below 1 lets one through.
	return s.rows(c, s.jobs(c).History(offset, max(1, limit)))
}

// intQuery reads a query parameter as Python's int does.
func intQuery(c echo.Context, name string) (n int, given bool, err error) {
	text, given := query(c, name)
	if !given {
		return 0, false, nil
	}
	v, ok := pyjson.ParseInt(text)
	if !ok {
		return 0, true, trouble("reading %s: %q is no integer", name, text)
	}
	switch v := v.(type) {
	case int64:
		const bound = 1 << 40 // far beyond every list, and safe to calculate with
		return int(max(-bound, min(bound, v))), true, nil
	case *big.Int:
		return v.Sign() << 40, true, nil
	}
	return 0, true, trouble("reading %s: %q is no integer", name, text)
}

// getHistoryOf returns one finished job; {} when it is unknown or not finished.
func (s *Server) getHistoryOf(c echo.Context) error {
	if row := s.jobs(c).Find(param(c, "prompt_id")); row != nil {
		return s.rows(c, []*queue.Row{row})
	}
	return s.rows(c, nil)
}

func (s *Server) rows(c echo.Context, rows []*queue.Row) error {
	size, texts := 2, make([][]byte, len(rows))
	for i, r := range rows {
		texts[i] = r.Text()
		size += len(r.ID) + len(texts[i]) + 8
	}
	b := append(make([]byte, 0, size), '{')
	for i, r := range rows {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = pyjson.AppendString(b, r.ID)
		b = append(b, ": "...)
		b = append(b, texts[i]...)
	}
	return s.body(c, http.StatusOK, jsonType, append(b, '}'))
}
