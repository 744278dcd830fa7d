package v2

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/assets"
	"comfygo/queue"
)

// How many things a page has.
const (
	usualPage  = 50
	largest    = 100
	maxFilters = 16
)

// summaryView is a job in a list.
type summaryView struct {
	ID         string            `json:"id"`
	Status     Status            `json:"status"`
	CreateTime string            `json:"create_time"`
	UpdateTime string            `json:"update_time"`
	Metadata   map[string]string `json:"metadata"`
	created    time.Time
}

func summarize(f found) summaryView {
	updated := f.created
	for _, t := range []time.Time{f.started, f.ended} {
		if t.After(updated) {
			updated = t
		}
	}
	return summaryView{ID: f.id, Status: f.status, CreateTime: stamp(f.created), UpdateTime: stamp(updated), Metadata: labelsOf(f.extra), created: f.created}
}

// summaries keep what was read of history, so that a list reads each row only once.
type summaries struct {
	mu   sync.Mutex
	rows map[string]summaryView
}

// most bounds the stored entries, well above the size of history.
const most = 3 * queue.HistoryLimit

// of returns the summaries of rows that can be read.
func (s *summaries) of(rows []*queue.Row) (list []summaryView) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows == nil || len(s.rows) > most {
		s.rows = map[string]summaryView{}
	}
	for _, r := range rows {
		v, known := s.rows[r.ID]
		if !known {
			f, ok := readFinished(r)
			if !ok {
				continue
			}
			v = summarize(f)
			s.rows[r.ID] = v
		}
		list = append(list, v)
	}
	return list
}

// drop forgets a job that has run again under its id.
func (s *summaries) drop(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rows, id)
}

// listJobs answers with a page of jobs, the newest first. Statuses: 200, 422.
func (a *API) listJobs(c echo.Context) error {
	limit, err := pageSize(c)
	if err != nil {
		return err
	}
	labels, err := labelFilter(c)
	if err != nil {
		return err
	}
	list := a.jobs(c, labels)
	if list, err = behind(list, c.QueryParam("cursor")); err != nil {
		return err
	}
	answer := struct {
		Jobs []summaryView `json:"jobs"`
		Next string        `json:"next_cursor,omitempty"`
	}{Jobs: list[:min(limit, len(list))]}
	if len(list) > limit {
		answer.Next = cursorOf(list[limit-1])
	}
	return send(c, http.StatusOK, answer)
}

// jobs are all jobs with the labels that the request may see, the newest first.
func (a *API) jobs(c echo.Context, labels map[string]string) []summaryView {
	q := a.view(c)
	running, pending := q.Snapshot()
	list := []summaryView{}
	seen := map[string]bool{}
	add := func(v summaryView) {
		if seen[v.ID] {
			return
		}
		seen[v.ID] = true
		for key, value := range labels {
			if v.Metadata[key] != value {
				return
			}
		}
		list = append(list, v)
	}
	for _, j := range running {
		f := fromJob(j, Running)
		if _, is := a.cancelling.Load(j.ID); is {
			f.status = Canceling
		}
		f.started = a.logs.startedAt(j.ID)
		add(summarize(f))
	}
	for _, j := range pending {
		add(summarize(fromJob(j, Queued)))
	}
	for _, v := range a.listed.of(q.History(0, -1)) {
		add(v)
	}
	slices.SortFunc(list, newestFirst)
	return list
}

func newestFirst(x, y summaryView) int {
	return cmp.Or(y.created.Compare(x.created), strings.Compare(x.ID, y.ID))
}

func pageSize(c echo.Context) (int, error) {
	text := c.QueryParam("limit")
	if text == "" {
		return usualPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > largest {
		return 0, invalid("limit must be a number between 1 and %d", largest)
	}
	return n, nil
}

// labelFilter reads metadata[key]=value.
func labelFilter(c echo.Context) (map[string]string, error) {
	labels := map[string]string{}
	bad := func(text string) error { return problem(http.StatusUnprocessableEntity, InvalidFilter, "%s", text) }
	values, err := url.ParseQuery(c.Request().URL.RawQuery)
	if err != nil {
		return nil, bad("the query cannot be read")
	}
	for name, list := range values {
		key, is := strings.CutPrefix(name, "metadata[")
		if !is {
			continue
		}
		key, closed := strings.CutSuffix(key, "]")
		switch {
		case !closed || key == "" || len(key) > maxLabelKey:
			return nil, bad("a filter is written metadata[key]=value")
		case len(list) > 1:
			return nil, bad(fmt.Sprintf("there is more than one filter for %q", key))
		case len(labels) >= maxFilters:
			return nil, bad(fmt.Sprintf("there are more than %d filters", maxFilters))
		}
		labels[key] = list[0]
	}
	return labels, nil
}

func cursorOf(v summaryView) string {
	return base64.RawURLEncoding.EncodeToString([]byte(itoa(v.created.UnixMilli()) + "." + v.ID))
}

// behind leaves what comes after a cursor.
func behind(list []summaryView, cursor string) ([]summaryView, error) {
	if cursor == "" {
		return list, nil
	}
	bad := problem(http.StatusUnprocessableEntity, InvalidCursor, "cursor must be a next_cursor of an earlier answer")
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	ms, id, ok := strings.Cut(string(text), ".")
	at, numberErr := strconv.ParseInt(ms, 10, 64)
	if err != nil || !ok || numberErr != nil || id == "" {
		return nil, bad
	}
	mark := summaryView{ID: id, created: time.UnixMilli(at)}
	i, found := slices.BinarySearchFunc(list, mark, newestFirst)
	if found {
		i++
	}
	return list[i:], nil
}

// listAssets answers with a page of assets, the newest first; tags has names that an asset must have, with commas. Statuses:
// 200, 422.
func (a *API) listAssets(c echo.Context) error {
	lib, owner, err := a.caller(c)
	if err != nil {
		return err
	}
	limit, err := pageSize(c)
	if err != nil {
		return err
	}
	p := assets.Page{Filter: assets.Filter{Owner: owner}, Sort: "created_at", Limit: int64(limit)}
	if tags := c.QueryParam("tags"); tags != "" {
		p.All = assets.CleanTags(strings.Split(tags, ","))
	}
	if cursor := c.QueryParam("cursor"); cursor != "" {
		p.After = &cursor
	}
	list, err := lib.List(c.Request().Context(), p)
	if err != nil {
		return assetError(err)
	}
	answer := struct {
		Assets []assetView `json:"assets"`
		Next   string      `json:"next_cursor,omitempty"`
	}{Assets: []assetView{}, Next: list.Next}
	for _, it := range list.Items {
		answer.Assets = append(answer.Assets, a.assetView(c, lib, it))
	}
	return send(c, http.StatusOK, answer)
}
