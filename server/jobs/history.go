package jobs

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/queue"
	"comfygo/server/reply"
)

// GetHistory lists finished jobs: all of them, or max_items of them; by default the last ones, otherwise from
// offset on.
func (s *Service) GetHistory(c echo.Context) error {
	limit, limited, err := reply.IntQuery(c, "max_items")
	if err != nil {
		return err
	}
	offset, _, err := reply.IntQuery(c, "offset")
	if err != nil {
		return err
	}
	if _, given := reply.Query(c, "offset"); !given {
		offset = -1
	}
	if !limited {
		return s.rows(c, s.Access.Jobs(c).History(offset, -1))
	}
	if offset < 0 {
		offset = s.Access.Jobs(c).HistoryLen() - limit
	}
	// Upstream counts after it has added: a limit below 1 lets one through.
	return s.rows(c, s.Access.Jobs(c).History(offset, max(1, limit)))
}

// GetHistoryOf returns one finished job, or {} if it is unknown or not finished.
func (s *Service) GetHistoryOf(c echo.Context) error {
	if row := s.Access.Jobs(c).Find(reply.Param(c, "prompt_id")); row != nil {
		return s.rows(c, []*queue.Row{row})
	}
	return s.rows(c, nil)
}

func (s *Service) rows(c echo.Context, rows []*queue.Row) error {
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
	return s.Reply.Body(c, http.StatusOK, reply.JSONType, append(b, '}'))
}
