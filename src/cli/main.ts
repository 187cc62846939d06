#!/usr/bin/env node
import { Command } from 'commander';
import { auditCommand } from './audit/command.ts';
import { checkCommand } from './check.ts';
import { demoCommand } from './demo/command.ts';
import { explainCommand } from './explain/command.ts';
import { approveCommand, grantCommand, grantsCommand, revokeCommand } from './grant.ts';
import { serveCommand } from './serve.ts';
import { sessionsCommand } from './sessions.ts';
import { simulateCommand } from './simulate.ts';
import { suggestCommand } from './suggest.ts';
import { usageCommand } from './usage.ts';
import { usersCommand } from './users.ts';
import { VERSION } from './version.ts';

// Whoever reads may have seen enough: `rowgate ... | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

const program = new Command('rowgate')
  .description('Data-loss-prevention proxy for PostgreSQL: meters every protected row per person and stops mass extraction at the quota.')
  .version(VERSION)
  .addCommand(serveCommand())
  .addCommand(checkCommand())
  .addCommand(auditCommand())
  .addCommand(explainCommand())
  .addCommand(usageCommand())
  .addCommand(sessionsCommand())
  .addCommand(grantCommand())
  .addCommand(grantsCommand())
  .addCommand(approveCommand())
  .addCommand(revokeCommand())
  .addCommand(simulateCommand())
  .addCommand(suggestCommand())
  .addCommand(usersCommand())
  .addCommand(demoCommand());

await program.parseAsync();
