package server

import "time"

// seconds is a time as Python's float of seconds.
func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }
