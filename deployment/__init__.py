"""What regions and servers run for months: processes, certificates, approvals, enrolment."""
