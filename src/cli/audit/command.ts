import { Command } from 'commander';
import { verifyCommand } from './verify.ts';

export function auditCommand(): Command {
  return new Command('audit').description('work with the audit log').addCommand(verifyCommand());
}
