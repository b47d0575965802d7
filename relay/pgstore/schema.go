package pgstore

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// The version of the schema. A change that nodes of the last version can live with is a new minor
// version: further tables, further columns with a default, further functions. All others are a new
// major version, for which all nodes are stopped.
const (
	major = 1
	minor = 1
)

var (
	//go:embed schema/tables_1.sql
	tables string
	//go:embed schema/functions_1.sql
	functions string
)

// migrate makes the schema or brings it up to date. One node at a time does so.
func (s *Store) migrate(ctx context.Context, c *pgx.Conn) error {
	schema := pgx.Identifier{s.opts.Schema}.Sanitize()
	return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended($1, 0))`,
			"guance-relay "+s.opts.Schema)
		if err != nil {
			return err
		}
		var exists, has bool
		err = tx.QueryRow(ctx, `select to_regnamespace($1) is not null,
			to_regclass($1 || '.version') is not null`, schema).Scan(&exists, &has)
		if err != nil {
			return err
		}
		haveMajor, haveMinor := 0, 0
		if has {
			err := tx.QueryRow(ctx, `select major, minor from version`).Scan(&haveMajor, &haveMinor)
			if err != nil && !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
		}
		switch {
		case haveMajor > major:
			return refusal(fmt.Sprintf("the schema %s has version %d.%d, made by a newer release; "+
				"this one reads versions up to %d; use the newer release",
				schema, haveMajor, haveMinor, major))
		case haveMajor == major && haveMinor >= minor:
			return nil
		}
		var sql []string
		if !exists {
			sql = append(sql, "create schema "+schema)
		}
		if haveMajor == 0 {
			sql = append(sql, `create table version (one boolean primary key default true
				check (one), major integer not null, minor integer not null)`, tables)
		}
		sql = append(sql, functions, fmt.Sprintf(`insert into version (major, minor) values (%d, %d)
			on conflict (one) do update set major = excluded.major, minor = excluded.minor`,
			major, minor))
		for _, text := range sql {
			if _, err := tx.Exec(ctx, text, pgx.QueryExecModeSimpleProtocol); err != nil {
				return fmt.Errorf("making the schema %s: %w", schema, err)
			}
		}
		return nil
	})
}
