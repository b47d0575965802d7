package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
)

// logger returns the log. Lost lines of a logWriter are reported in the log's own format.
func (c *config) logger(w io.Writer) (*slog.Logger, error) {
	log, err := c.loggerTo(w)
	if writer, ok := w.(*logWriter); ok && err == nil {
		writer.onLoss(func(out io.Writer, n uint64) error {
			direct, err := c.loggerTo(out)
			if err != nil {
				return err
			}
			record := slog.NewRecord(time.Now(), slog.LevelError, lostLines(n), 0)
			return direct.Handler().Handle(context.Background(), record) // a Logger drops the error
		})
	}
	return log, err
}

func (c *config) loggerTo(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.logLevel)); err != nil {
		return nil, fmt.Errorf("log-level %q: must be debug, info, warn or error", c.logLevel)
	}
	opts := &slog.HandlerOptions{Level: level}
	switch c.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return nil, fmt.Errorf("log-format %q: must be text or json", c.logFormat)
}

// errorLog logs what net/http reports. Clients can cause most of it at any rate, so it is logged at
// debug level. A panic of a handler and a failed accept are errors of the server.
type errorLog struct{ log *slog.Logger }

func (l errorLog) Write(line []byte) (int, error) {
	level, text := slog.LevelDebug, strings.TrimSpace(string(line))
	if strings.HasPrefix(text, "http: panic ") || strings.HasPrefix(text, "http: Accept error") {
		level = slog.LevelError
	}
	l.log.Log(context.Background(), level, text)
	return len(line), nil
}
