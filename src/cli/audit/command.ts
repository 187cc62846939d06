import { Command } from 'commander';
import { auditRecordSchemaText } from '../../audit/record-schema.ts';
import { verifyCommand } from './verify.ts';

export function auditCommand(): Command {
  return new Command('audit').description('work with the audit log').addCommand(verifyCommand()).addCommand(schemaCommand());
}

function schemaCommand(): Command {
  return new Command('schema')
    .description('print the JSON Schema of a record')
    .addHelpText('after', '\nThe same as config/audit-record.schema.json: one schema for each event, with every key and its meaning.')
    .action(() => {
      process.stdout.write(auditRecordSchemaText());
    });
}
