package prompts

import (
	"fmt"
	"math"
	"slices"
	"time"

	"comfygo/internal/pyjson"
	"comfygo/queue"
	"comfygo/server/reply"
)

// optionsKey is the field of extra_data for options that upstream does not have.
const optionsKey = "comfygo"

// takeOptions takes our own field out of extra_data: nodes and listings do not see it, and it can hold a secret.
func (s *Service) takeOptions(extra *pyjson.Object) (o queue.Options, err error) {
	v, given := extra.Get(optionsKey)
	if !given {
		return o, nil
	}
	extra.Delete(optionsKey)
	fields, ok := v.(*pyjson.Object)
	if !ok {
		return o, fmt.Errorf("%s must be an object", optionsKey)
	}
	for name, v := range fields.All() {
		switch name {
		case "priority":
			text, _ := v.(string)
			if o.Priority, ok = queue.ParseClass(text); !ok {
				return o, fmt.Errorf("priority must be low, normal or high")
			}
		case "time_limit":
			seconds, err := reply.ToFloat(v)
			if _, text := v.(string); err != nil || text || !(seconds > 0) || seconds > math.MaxInt32 {
				return o, fmt.Errorf("time_limit must be a number of seconds above 0")
			}
			o.TimeLimit = time.Duration(seconds * float64(time.Second))
		case "labels":
			if o.Labels, err = readLabels(v); err != nil {
				return o, err
			}
		case "webhook":
			if o.Webhook, err = s.readWebhook(v); err != nil {
				return o, err
			}
		default:
			return o, fmt.Errorf("%s is unknown; there are priority, time_limit, labels and webhook", name)
		}
	}
	return o, nil
}

// readLabels reads the labels that the worker of a job must have.
func readLabels(v any) ([]string, error) {
	const most = 16
	list, ok := v.([]any)
	var labels []string
	for _, e := range list {
		text, isText := e.(string)
		ok = ok && isText && text != "" && len(text) <= 64
		labels = append(labels, text)
	}
	if !ok || len(labels) > most {
		return nil, fmt.Errorf("labels must be a list of up to %d texts of up to 64 bytes", most)
	}
	slices.Sort(labels)
	return slices.Compact(labels), nil
}

func (s *Service) readWebhook(v any) (*queue.Webhook, error) {
	fields, ok := v.(*pyjson.Object)
	if !ok {
		return nil, fmt.Errorf("webhook must be an object")
	}
	w := &queue.Webhook{}
	for name, v := range fields.All() {
		var ok bool
		switch name {
		case "url":
			w.URL, ok = v.(string)
		case "secret":
			w.Secret, ok = v.(string)
		case "events":
			var list []any
			list, ok = v.([]any)
			for _, e := range list {
				text, _ := e.(string)
				ok = ok && slices.Contains([]string{queue.EventStarted, queue.EventFinished, queue.EventRemoved}, text)
				w.Events = append(w.Events, text)
			}
		default:
			return nil, fmt.Errorf("webhook.%s is unknown; there are url, secret and events", name)
		}
		if !ok {
			return nil, fmt.Errorf("webhook.%s cannot be used; url and secret are texts, events is a list of started, finished and removed", name)
		}
	}
	if err := s.Guard.CheckURL(w.URL); err != nil {
		return nil, fmt.Errorf("webhook.url: %w", err)
	}
	return w, nil
}
