package jobs

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/queue"
	"comfygo/server/reply"
)

// The states of a job.
const (
	jobPending    = "pending"
	jobInProgress = "in_progress"
	jobCompleted  = "completed"
	jobFailed     = "failed"
	jobCancelled  = "cancelled"
)

var jobStates = []string{jobPending, jobInProgress, jobCompleted, jobFailed, jobCancelled}

// jobsQuery holds the parameters of a listing of jobs.
type jobsQuery struct {
	states        []string
	workflow      string
	byDuration    bool
	ascending     bool
	offset, limit int
	limited       bool
}

// GetJobs lists jobs, by default the newest first.
func (s *Service) GetJobs(c echo.Context) error {
	q, complaint := readJobsQuery(c)
	if complaint != "" {
		return s.Reply.JSON(c, http.StatusBadRequest, pyjson.NewObject("error", complaint))
	}
	jobs := s.selectJobs(s.Access.Jobs(c), q)
	total := len(jobs)
	jobs = jobs[min(q.offset, total):]
	if q.limited && len(jobs) > q.limit {
		jobs = jobs[:q.limit]
	}
	list := make([]any, len(jobs))
	for i, j := range jobs {
		list[i] = j
	}
	var limit any
	if q.limited {
		limit = int64(q.limit)
	}
	return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject("jobs", list, "pagination", pyjson.NewObject(
		"offset", int64(q.offset), "limit", limit, "total", int64(total), "has_more", q.offset+len(jobs) < total)))
}

// readJobsQuery reads the query; complaint describes a fault of it, or is "".
func readJobsQuery(c echo.Context) (q jobsQuery, complaint string) {
	q.states = jobStates
	if text, _ := reply.Query(c, "status"); text != "" {
		if q.states, complaint = readStates(text); complaint != "" {
			return q, complaint
		}
	}
	q.workflow, _ = reply.Query(c, "workflow_id")
	switch by, given := reply.Query(c, "sort_by"); {
	case !given || strings.ToLower(by) == "created_at":
	case strings.ToLower(by) == "execution_duration":
		q.byDuration = true
	default:
		return q, "sort_by must be 'created_at' or 'execution_duration'"
	}
	switch order, given := reply.Query(c, "sort_order"); {
	case !given || strings.ToLower(order) == "desc":
	case strings.ToLower(order) == "asc":
		q.ascending = true
	default:
		return q, "sort_order must be 'asc' or 'desc'"
	}
	var err error
	if q.limit, q.limited, err = reply.IntQuery(c, "limit"); err != nil {
		return q, "limit must be an integer"
	}
	if q.limited && q.limit <= 0 {
		return q, "limit must be a positive integer"
	}
	if q.offset, _, err = reply.IntQuery(c, "offset"); err != nil {
		return q, "offset must be an integer"
	}
	q.offset = max(0, q.offset)
	return q, ""
}

func readStates(text string) (states []string, complaint string) {
	var unknown []string
	states = []string{}
	for word := range strings.SplitSeq(text, ",") {
		word = strings.ToLower(strings.TrimSpace(word))
		switch {
		case word == "":
		case slices.Contains(jobStates, word):
			states = append(states, word)
		default:
			unknown = append(unknown, word)
		}
	}
	if unknown != nil {
		return nil, fmt.Sprintf("Invalid status value(s): %s. Valid values: %s", strings.Join(unknown, ", "), strings.Join(jobStates, ", "))
	}
	return states, ""
}

// selectJobs returns all jobs that match the query, sorted.
func (s *Service) selectJobs(view queue.View, q jobsQuery) []*pyjson.Object {
	running, pending := view.Snapshot()
	jobs := []*pyjson.Object{}
	add := func(j *pyjson.Object) {
		if slices.Contains(q.states, j.String("status")) && (q.workflow == "" || j.String("workflow_id") == q.workflow) {
			jobs = append(jobs, j)
		}
	}
	for _, j := range running {
		add(waitingJob(j, jobInProgress))
	}
	for _, j := range pending {
		add(waitingJob(j, jobPending))
	}
	for _, r := range view.History(0, -1) {
		if j := finishedJob(r); j != nil {
			add(j)
		}
	}
	key := func(j *pyjson.Object) float64 { return reply.NumberOf(j, "create_time") }
	if q.byDuration {
		key = duration
	}
	slices.SortStableFunc(jobs, func(a, b *pyjson.Object) int {
		x, y := key(a), key(b)
		if !q.ascending {
			x, y = y, x
		}
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	return jobs
}

func duration(j *pyjson.Object) float64 {
	start, end := reply.NumberOf(j, "execution_start_time"), reply.NumberOf(j, "execution_end_time")
	if start == 0 || end == 0 {
		return 0
	}
	return end - start
}

// GetJob returns one job, a finished one with its outputs; with ?progress=true also how far it has come.
func (s *Service) GetJob(c echo.Context) error {
	id := reply.Param(c, "job_id")
	asked, _ := reply.Query(c, "progress")
	answer := func(job *pyjson.Object, position int) error {
		if asked == "true" || asked == "1" {
			s.withProgress(job, position)
		}
		return s.Reply.JSON(c, http.StatusOK, job)
	}
	view := s.Access.Jobs(c)
	if r := view.Find(id); r != nil {
		if j := jobDetails(r); j != nil {
			return answer(j, 0)
		}
	}
	running, pending := view.Snapshot()
	for _, j := range running {
		if j.ID == id {
			return answer(waitingJob(j, jobInProgress), 0)
		}
	}
	for i, j := range pending {
		if j.ID == id {
			return answer(waitingJob(j, jobPending), i+1)
		}
	}
	return s.Reply.JSON(c, http.StatusNotFound, pyjson.NewObject("error", "Job not found"))
}

// PostJobCancel cancels one job, whatever its state.
func (s *Service) PostJobCancel(c echo.Context) error {
	done, err := s.cancelJob(c, reply.Param(c, "job_id"))
	if err != nil {
		return err
	}
	return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject("cancelled", done))
}

// cancelJob deletes a waiting job or interrupts the running one.
func (s *Service) cancelJob(c echo.Context, id string) (bool, error) {
	state, err := s.Access.Cancel(c, id)
	return state != queue.StateNone, err
}

// PostJobsCancel cancels a list of jobs.
func (s *Service) PostJobsCancel(c echo.Context) error {
	complain := func(text string) error {
		return s.Reply.JSON(c, http.StatusBadRequest, pyjson.NewObject("error", text))
	}
	data, err := s.Reply.ReadBody(c)
	if err != nil {
		return err
	}
	body, err := pyjson.Unmarshal(data)
	if err != nil {
		return complain("Request body must be valid JSON")
	}
	o, _ := body.(*pyjson.Object)
	v, _ := o.Get("job_ids")
	list, ok := v.([]any)
	if !ok {
		return complain("job_ids must be a list")
	}
	ids, bad := []string{}, []any{}
	for _, v := range list {
		id, ok := v.(string)
		switch {
		case ok && reply.IsJobID(id):
			ids = append(ids, id)
		case ok:
			bad = append(bad, id)
		default:
			bad = append(bad, pyjson.Repr(v))
		}
	}
	if len(bad) > 0 {
		return s.Reply.JSON(c, http.StatusBadRequest, pyjson.NewObject("error", "job_ids contains invalid id(s)", "invalid_ids", bad))
	}
	cancelled := false
	for _, id := range ids {
		done, err := s.cancelJob(c, id)
		if err != nil {
			return err
		}
		cancelled = cancelled || done
	}
	return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject("cancelled", cancelled))
}
