-- Where a job's caller stood in a trace of its own when it submitted (docs/decisions/0026), as a W3C traceparent. A row only where it said so and
-- the farm traces: the ids of all other traces are worked out from the job's.
create table job_trace (
  job_id text primary key references job on delete cascade on update restrict,
  traceparent text not null check (traceparent ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$')
);
